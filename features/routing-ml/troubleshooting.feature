@routing-ml @incident
Feature: Troubleshooting the routing platform

  Rule: What answers is what was activated

    @RML-TRB-1 @P2
    Scenario: Predictions wrong
      Another version: activate the right one. Weights missing: train again, or restore the model.

      Given the routing platform
      Then its active version is the same as its version in the manifest
      And its active version is the same as its registered version
      And it has no missing artifacts of the active version
      And it has no features without weight
      And its model behind a trial prediction is the same as its active version

    @RML-TRB-4 @P3
    Scenario: Cache not invalidating
      Touch the manifest; a back end that does not notice it is restarted. It looks at the manifest
      when it is asked for a prediction, so it is asked for one first.

      Given the routing platform
      Then its trial prediction is answered
      And within 3 seconds its last model reload is later than its last change of the manifest
      And the report lists its start of the back end

  Rule: Who opens the page can work with it

    @RML-TRB-2 @P2
    Scenario: Training UI not loading
      CORS: add the page's origin to CORS_ALLOWED_ORIGINS. 401: the session has lapsed, or the key.

      Given the routing platform
      Then its prediction front end is up
      And its prediction page is rendered
      And it has no cross-origin errors on the prediction page
      And it has no refused requests of the prediction page
      And it has no failed requests of the prediction page

  Rule: Every model says how good it is

    @RML-TRB-3 @P3 @changes
    Scenario: metrics.json not generated
      Training by hand bypasses the metrics; this is tried with a version that is removed again.

      Given the routing platform
      And that afterwards the operator removes "wk-by-hand"
      When the operator trains "wk-by-hand" by hand
      Then its trainer of "wk-by-hand" is "cli"
      And its metrics of "wk-by-hand" are missing
      When the operator generates the metrics of "wk-by-hand"
      Then its metrics of "wk-by-hand" are valid
