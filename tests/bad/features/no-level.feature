# expects: ?
@shop @daily
Feature: no level

  @BAD-F-1
  Scenario: It works
    Given the shop
    Then its mood is calm
