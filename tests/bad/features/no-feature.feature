# expects: ?
Scenario: It works
  Given the shop
