// The worker of a download.
import { Work } from "./work.js";

const work = new Work((message, transfer) => postMessage(message, transfer));
onmessage = ({ data }) => work.message(data);
