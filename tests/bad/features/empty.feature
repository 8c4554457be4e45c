# expects: ?
