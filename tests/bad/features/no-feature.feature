# expects: 3: "Scenario: It works" can't stand here; "Feature:" and "Scenario:" stand above steps
# expects: 3: "Scenario: It works" can't stand here; "Feature:"
Scenario: It works
  Given the shop
