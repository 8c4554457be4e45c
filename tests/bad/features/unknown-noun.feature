# expects: 8: "Then its eror rate is below 10%": no figure is called "eror rate"; did you mean "error rate"?
@shop @daily
Feature: unknown noun

  @BAD-I-1 @P2
  Scenario: It works
    Given the shop
    Then its eror rate is below 10%
