# expects: 8: "Then its orders include:": needs a table below it: a header and at least one row
@shop @daily
Feature: table without rows

  @BAD-X-4 @P2
  Scenario: It works
    Given the shop
    Then its orders include:
      | state |
