# expects: 8: "below 10 s" does not fit: the figure is in ratio; write for example "below 10%"
@shop @daily
Feature: limit of another dimension

  @BAD-O-1 @P2
  Scenario: It works
    Given the shop
    Then its error rate is below 10 s
