# expects: ?
@shop @daily
Feature: no window

  @BAD-V-2 @P2
  Scenario: It works
    Given the shop
    Then its yesterday's orders is below 5
