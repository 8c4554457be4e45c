# expects: 6: "It works" judges nothing; add a Then
@shop @daily
Feature: no judgement

  @BAD-E-1 @P2
  Scenario: It works
    Given the shop
