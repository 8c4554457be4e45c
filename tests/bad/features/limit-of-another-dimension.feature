# expects: ?
@shop @daily
Feature: limit of another dimension

  @BAD-O-1 @P2
  Scenario: It works
    Given the shop
    Then its error rate is below 10 s
