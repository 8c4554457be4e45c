# expects: 8: "clam" does not fit: "clam" is none of the figure's values (calm, busy); did you mean "calm"?
@shop @daily
Feature: undeclared state

  @BAD-P-1 @P2
  Scenario: It works
    Given the shop
    Then its mood is clam
