# expects: 3: "Scenaro: It is lost" below it is taken for a description; did you mean "Scenario:"?
@shop @daily @P2
Feature: misspelt scenario without tags

  Scenaro: It is lost
    Given the shop
    Then it has no orders

  @BAD-W-3
  Scenario: It works
    Given the shop
    Then its mood is calm
