# expects: ?
@shop @daily
Feature: table without rows

  @BAD-X-4 @P2
  Scenario: It works
    Given the shop
    Then its orders include:
      | state |
