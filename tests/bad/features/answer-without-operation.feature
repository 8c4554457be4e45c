# expects: 8: there is no answer yet; an operation must come first
@shop @daily
Feature: answer without operation

  @BAD-Y-4 @P2
  Scenario: It works
    Given the shop
    Then the state of the answer is new
