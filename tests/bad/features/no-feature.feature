# expects: 2: "Scenario: It works" can't stand here; "Feature:" and "Scenario:" stand above steps
Scenario: It works
  Given the shop
