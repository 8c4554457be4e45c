# expects: 3: "It was a dark and stormy night." can't stand here
# expects: 3: "It was a dark and stormy night." can't stand 
It was a dark and stormy night.
