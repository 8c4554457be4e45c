# expects: 6: "Scenaro: It works" can't stand here; did you mean "Scenario"?
@shop @daily
Feature: misspelt scenario

  @BAD-W-1 @P2
  Scenaro: It works
    Given the shop
    Then its mood is calm
