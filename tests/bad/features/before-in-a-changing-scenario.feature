# expects: 8: "the same as before" compares with before, but nothing is done before; an operation must come first: "When the operator …"
@shop @daily
Feature: before in a changing scenario

  @BAD-Q-2 @P2 @changes
  Scenario: It works
    Given the shop
    Then its pace is the same as before
    When the operator restocks
    Then it has no orders
