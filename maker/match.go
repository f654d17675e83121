package maker

// Matcher returns a function that reports whether a slash-separated path matches one of
// the patterns. The syntax is that of [Options].Include. The error is a
// *[PatternError].
func Matcher(patterns []string) (func(path string) bool, error) {
	list, err := parseGlobs(patterns)
	if err != nil {
		return nil, err
	}
	return list.match, nil
}
