-- title: Peaks
-- description: At most 10 peaks per run, strongest first: seconds in which the share of an expression (not neutral) peaks
-- at least 10 percentage points over what is usual in the run (the median). rise is the step up from the five seconds
-- before. At most 4 peaks per expression; seconds with fewer than half the usual usable faces are left out.
-- plot: bar start_s lift
WITH usual AS (
    SELECT
        run, median(usable_faces) AS faces, greatest(2, (max(second) + 1) // 120) AS reach_s, median(angry) AS angry,
        median(disgust) AS disgust, median(fear) AS fear, median(happy) AS happy, median(sad) AS sad,
        median(surprise) AS surprise
    FROM timeline WHERE usable_faces > 0 GROUP BY run
),
dense AS (
    SELECT timeline.* FROM timeline JOIN usual USING (run)
    WHERE timeline.usable_faces > 0 AND timeline.usable_faces >= usual.faces / 2
),
shares AS (
    UNPIVOT (SELECT run, second, usable_faces, angry, disgust, fear, happy, sad, surprise FROM dense)
    ON angry, disgust, fear, happy, sad, surprise INTO NAME expression VALUE share
),
usual_shares AS (
    UNPIVOT (SELECT run, reach_s, angry, disgust, fear, happy, sad, surprise FROM usual)
    ON angry, disgust, fear, happy, sad, surprise INTO NAME expression VALUE usual_share
),
changes AS (
    SELECT
        *, share - usual_share AS lift,
        share - avg(share) OVER (around RANGE BETWEEN 5 PRECEDING AND 1 PRECEDING) AS rise,
        max(share) OVER (around RANGE BETWEEN reach_s PRECEDING AND reach_s FOLLOWING) AS highest_near
    FROM shares JOIN usual_shares USING (run, expression)
    WINDOW around AS (PARTITION BY run, expression ORDER BY second)
),
peaks AS (
    SELECT * FROM changes WHERE share = highest_near AND lift >= 0.1
    QUALIFY row_number() OVER (PARTITION BY run, expression ORDER BY lift DESC, second) <= 4
),
best AS (
    SELECT * FROM peaks
    QUALIFY row_number() OVER (PARTITION BY run ORDER BY lift DESC, second, expression) <= 10
)
SELECT
    best.run, best.second AS start_s, best.expression, best.share, best.usual_share, best.lift, best.rise,
    (SELECT count(DISTINCT person) FROM faces
     WHERE faces.run = best.run AND usable AND time_s >= best.second AND time_s < best.second + 1) AS persons,
    best.usable_faces AS faces
FROM best ORDER BY best.run, best.lift DESC, best.second, best.expression
