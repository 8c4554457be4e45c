# expects: ?
@shop @daily
Feature: unknown noun

  @BAD-I-1 @P2
  Scenario: It works
    Given the shop
    Then its eror rate is below 10%
