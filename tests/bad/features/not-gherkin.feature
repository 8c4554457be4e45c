# expects: 2: "It was a dark and stormy night." can't stand here
It was a dark and stormy night.
