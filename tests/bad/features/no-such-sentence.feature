# expects: ?
@shop @daily
Feature: no such sentence

  @BAD-X-1 @P2
  Scenario: It works
    Given the shop
    Then everything should work properly
