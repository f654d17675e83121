package transmission

import (
	"strings"
	"testing"
)

// TestSonarr sends the requests that Sonarr and Radarr make, as their source code builds them
// (TransmissionProxy.cs), and checks what they read of the replies.
func TestSonarr(t *testing.T) {
	f := two()
	c := newClient(t, f)
	has := func(body string, want ...string) {
		t.Helper()
		_, got := c.do(body)
		for _, w := range append(want, `"result":"success"`) {
			if !strings.Contains(got, w) {
				t.Errorf("%s\n got %s\nwant %s in it", body, got, w)
			}
		}
	}
	has(`{"method":"session-get"}`, `"version":"3.00 (spate`, `"download-dir":"`, `"seedRatioLimited":false`, `"seedRatioLimit":0`, `"idle-seeding-limit-enabled":false`, `"rpc-version":17`)
	has(`{"method":"torrent-get","arguments":{"fields":["id","hashString","name","downloadDir","totalSize","leftUntilDone","isFinished","eta","status","secondsDownloading","secondsSeeding","errorString","uploadedEver","downloadedEver","seedRatioLimit","seedRatioMode","seedIdleLimit","seedIdleMode","fileCount","file-count","labels"]}}`,
		`"totalSize":`, `"leftUntilDone":750`, `"fileCount":3`, `"file-count":3`, `"secondsSeeding":`, `"secondsDownloading":`, `"seedIdleMode":2`, `"seedRatioMode":2`, `"labels":[]`)
	has(`{"method":"torrent-add","arguments":{"filename":"magnet:?xt=urn:btih:`+strings.Repeat("a", 40)+`","download-dir":"/d/tv"}}`, `"torrent-duplicate":{`)
	has(`{"method":"torrent-set","arguments":{"ids":["` + strings.Repeat("a", 40) + `"],"seedRatioLimit":1.5,"seedRatioMode":1,"seedIdleLimit":90,"seedIdleMode":1}}`)
	if want := `change aa {"ratio":1.5,"seed_idle":5400}`; f.done[len(f.done)-1] != want {
		t.Errorf("the seeding configuration makes %q, want %q", f.done, want)
	}
	has(`{"method":"torrent-set","arguments":{"ids":["` + strings.Repeat("a", 40) + `"],"seedIdleMode":0}}`)
	has(`{"method":"queue-move-top","arguments":{"ids":["` + strings.Repeat("b", 40) + `"]}}`)
	has(`{"method":"torrent-remove","arguments":{"ids":["` + strings.Repeat("b", 40) + `"],"delete-local-data":true}}`)
}
