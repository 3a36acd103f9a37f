-- title: Reaction after a given time
-- description: What was shown before and after an instant: mean probability of each expression over usable faces in a window
-- on each side, and the change; faces and persons behind each figure. Persons are compared with themselves in
-- same_persons_change: the mean change of those who can be read on both sides. In a meeting the faces of those who speak are left out.
-- uses: speaking
-- parameter at: time = 0: the instant, seconds or minutes:seconds
-- parameter window: number = 10: seconds looked at on each side
-- plot: bar expression change
WITH near AS (
    SELECT *, time_s >= $at AS later FROM faces ANTI JOIN speaking USING (run, frame, person)
    WHERE usable AND time_s >= $at - $window AND time_s < $at + $window
),
long AS (
    UNPIVOT (SELECT run, person, later, angry, disgust, fear, happy, sad, surprise, neutral FROM near)
    ON angry, disgust, fear, happy, sad, surprise, neutral INTO NAME expression VALUE share
),
by_person AS (
    SELECT
        run, expression, person, avg(share) FILTER (WHERE later) - avg(share) FILTER (WHERE NOT later) AS change
    FROM long WHERE person IS NOT NULL GROUP BY run, expression, person
),
same AS (
    SELECT run, expression, avg(change) AS change, count(change) AS persons FROM by_person GROUP BY run, expression
)
SELECT
    run, expression, avg(share) FILTER (WHERE NOT later) AS before, avg(share) FILTER (WHERE later) AS after,
    avg(share) FILTER (WHERE later) - avg(share) FILTER (WHERE NOT later) AS change,
    any_value(same.change) AS same_persons_change, coalesce(any_value(same.persons), 0) AS same_persons,
    count(*) FILTER (WHERE NOT later) AS faces_before, count(*) FILTER (WHERE later) AS faces_after
FROM long LEFT JOIN same USING (run, expression)
GROUP BY run, expression ORDER BY run, change DESC NULLS LAST, expression
