# expects: ?
@shop @daily
Feature: before without operation

  @BAD-Q-1 @P2
  Scenario: It works
    Given the shop
    Then its pace is the same as before
