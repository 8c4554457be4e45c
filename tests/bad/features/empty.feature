# expects: 1: there is no "Feature:"
