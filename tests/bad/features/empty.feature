# expects: 1: there is no "Feature:"
# expects: 1: there is no "Feature:"
