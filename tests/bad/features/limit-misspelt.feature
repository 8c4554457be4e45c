# expects: ?
@shop @daily
Feature: limit misspelt

  @BAD-O-2 @P2
  Scenario: It works
    Given the shop
    Then its error rate is belw 10%
