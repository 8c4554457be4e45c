# expects: 8: "Then its figures are within these limits:": "bleow 1" is no limit; did you mean "below 1"?
@shop @daily
Feature: table with a bad limit

  @BAD-X-7 @P2
  Scenario: It works
    Given the shop
    Then its figures are within these limits:
      | figure     | limit   |
      | error rate | bleow 1 |
