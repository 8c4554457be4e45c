# expects: ?
It was a dark and stormy night.
