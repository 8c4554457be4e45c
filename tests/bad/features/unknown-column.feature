# expects: 8: "orders" has no column "stat"; it has: state, customer; did you mean "state"?
@shop @daily
Feature: unknown column

  @BAD-L-1 @P2
  Scenario: It works
    Given the shop
    Then its orders include:
      | stat |
      | new  |
