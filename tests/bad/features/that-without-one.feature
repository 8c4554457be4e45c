# expects: ?
@shop @daily
Feature: that without one

  @BAD-Y-3 @P2
  Scenario: It works
    Given the shop
    Then the state of that order is new
