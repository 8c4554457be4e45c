# expects: ?
@shop @daily
Feature: unknown column

  @BAD-L-1 @P2
  Scenario: It works
    Given the shop
    Then its orders include:
      | stat |
      | new  |
