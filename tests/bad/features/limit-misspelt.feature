# expects: 8: "Then its error rate is belw 10%": "belw 10%" is no limit; did you mean "below 10%"?
@shop @daily
Feature: limit misspelt

  @BAD-O-2 @P2
  Scenario: It works
    Given the shop
    Then its error rate is belw 10%
