@media-management @performance
Feature: How fast the media manager is

  Rule: TMDb is asked once for one title

    @MM-PERF-1 @P4 @changes
    Scenario: A repeated classification is answered from the cache
      See "Enable Query Result Caching": the cache is off, too small, or its entries end too soon.

      Given the media manager
      And its app connection is up
      When the operator classifies "Inception" twice
      Then the repeated TMDb requests of the answer is exactly 0
      And the repeated share of the first duration of the answer is at most 1

  Rule: A request does not wait for somebody to process it

    @MM-PERF-2 @P4 @destroys
    Scenario: Pending requests are picked up every two minutes
      See "Batch Processing": the scheduler's interval is 2 minutes, and one more is for the work
      itself. Look for "Background processing ended early" in the log, then restart the application.

      Given the media manager
      And its app connection is up
      And its copies of "The Matrix" in Radarr is exactly 0
      And that afterwards the operator withdraws the test request
      When the operator requests "The Matrix"
      Then exactly one of its requests is new
      And within 3 minutes the status of that request is not Pending or Processing

  Rule: The database answers its common questions by an index

    @MM-PERF-3 @maintenance @P4 @changes
    Scenario: Requests are found by status and service through their index
      Drop an index of that name that is on other columns, then run this again.

      Given the media manager
      When the operator optimizes the database
      Then its request indexes include:
        | name                        | columns             |
        | idx_requests_status_service | status, arr_service |
      And its index used to find requests by status and service is "idx_requests_status_service"
