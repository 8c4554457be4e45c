# expects: ?
@shop @daily
Feature: before in a changing scenario

  @BAD-Q-2 @P2 @changes
  Scenario: It works
    Given the shop
    Then its pace is the same as before
    When the operator restocks
    Then it has no orders
