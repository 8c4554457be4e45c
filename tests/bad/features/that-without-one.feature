# expects: 8: "that order" was not named before; write for example "exactly one of its … is new"
@shop @daily
Feature: that without one

  @BAD-Y-3 @P2
  Scenario: It works
    Given the shop
    Then the state of that order is new
