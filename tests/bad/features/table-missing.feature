# expects: ?
@shop @daily
Feature: table missing

  @BAD-X-3 @P2
  Scenario: It works
    Given the shop
    Then its orders include:
