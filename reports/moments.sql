-- title: Moments
-- description: When at least `persons` persons changed the same way within 2 s, strongest first. A person changes when an
-- expression's mean probability in the 2 s after an instant is at least `change` away from that in the 2 s before, and three times
-- as far as is usual for that person. As many must change at once as chance (at their rate in the rest of the run) gives in at most
-- `chance` of all instants. strength: the change summed over them, divided by all persons who could be read on both sides (present).
-- A run without any such moment has its peaks instead (kind 'peak': `crowdmood report peaks`), where strength is the peak's rise over
-- what is usual. Faces that speak in a meeting are left out, but for peaks.
-- uses: peaks, speaking
-- parameter persons: integer = 3: how many persons must change
-- parameter change: number = 0.2: how far the probability must change, 0..1
-- parameter chance: number = 0.0001: share of instants that are moments by chance
-- plot: bar peak_s strength
WITH halves AS (  -- half seconds
    SELECT
        run, person, floor(2 * time_s)::BIGINT AS half, avg(angry) AS angry, avg(disgust) AS disgust, avg(fear) AS fear,
        avg(happy) AS happy, avg(sad) AS sad, avg(surprise) AS surprise
    FROM faces ANTI JOIN speaking USING (run, frame, person) WHERE usable AND person IS NOT NULL GROUP BY run, person, half
),
spells AS (  -- the mean of the 2 s that begin with each half second
    SELECT
        run, person, half - back AS half, count(*) AS halves, avg(angry) AS angry, avg(disgust) AS disgust, avg(fear) AS fear,
        avg(happy) AS happy, avg(sad) AS sad, avg(surprise) AS surprise
    FROM halves, range(4) AS backs(back) GROUP BY run, person, half - back HAVING count(*) >= 2
),
readable AS (  -- that, less the mean of the 2 s before
    SELECT
        run, person, half, after.angry - before.angry AS angry, after.disgust - before.disgust AS disgust,
        after.fear - before.fear AS fear, after.happy - before.happy AS happy, after.sad - before.sad AS sad,
        after.surprise - before.surprise AS surprise
    FROM spells AS after JOIN (SELECT * REPLACE (half + 4 AS half) FROM spells) AS before USING (run, person, half)
),
usual AS (  -- how far a person's probabilities move in any 4 s
    SELECT
        run, person, median(abs(angry)) AS angry, median(abs(disgust)) AS disgust, median(abs(fear)) AS fear,
        median(abs(happy)) AS happy, median(abs(sad)) AS sad, median(abs(surprise)) AS surprise
    FROM readable GROUP BY run, person
),
changes AS (
    SELECT run, person, half, expression, abs(change) AS change, if(change > 0, 'more', 'less') AS direction
    FROM (UNPIVOT (FROM readable WHERE greatest(abs(angry), abs(disgust), abs(fear), abs(happy), abs(sad), abs(surprise))
        >= $change) ON angry, disgust, fear, happy, sad, surprise INTO NAME expression VALUE change)
    JOIN (UNPIVOT usual ON angry, disgust, fear, happy, sad, surprise INTO NAME expression VALUE usual)
        USING (run, person, expression)
    WHERE abs(change) >= greatest($change, 3 * usual)
),
instants AS (SELECT run, half, count(*) AS present FROM readable GROUP BY run, half),
ways AS (SELECT DISTINCT run, expression, direction FROM changes),
counted AS (  -- how many changed in each way at each instant, also where none did
    SELECT
        run, expression, direction, half, present, count(person) AS persons, coalesce(sum(change), 0) / present AS strength
    FROM instants JOIN ways USING (run) LEFT JOIN changes USING (run, expression, direction, half)
    GROUP BY run, expression, direction, half, present
),
rated AS (  -- the rate at which persons change in this way, but for the 4 s on each side of the instant
    SELECT *, (sum(persons) OVER whole - sum(persons) OVER near + 0.5)
        / (sum(present) OVER whole - sum(present) OVER near + 1) * present AS expected
    FROM counted WINDOW
        whole AS (PARTITION BY run, expression, direction),
        near AS (PARTITION BY run, expression, direction ORDER BY half RANGE BETWEEN 8 PRECEDING AND 8 FOLLOWING)
),
unlikely AS (  -- Poisson's upper tail by the gamma function's series
    SELECT *, half - coalesce(lag(half) OVER (PARTITION BY run, expression, direction ORDER BY half), -9) > 4 AS apart
    FROM rated
    WHERE persons >= $persons AND persons > expected AND list_sum(list_transform(range(100), lambda i:
        exp((persons + i) * ln(expected) - expected - lgamma(persons + i + 1)))) <= $chance
),
islands AS (
    SELECT *, sum(apart::INTEGER) OVER (PARTITION BY run, expression, direction ORDER BY half) AS island FROM unlikely
),
together AS (
    SELECT run, expression, direction, min(half) / 2 AS start_s, (max(half) + 1) / 2 AS end_s,
        arg_max(half, strength) / 2 AS peak_s, max(strength) AS strength, arg_max(persons, strength) AS persons,
        arg_max(present, strength) AS present
    FROM islands GROUP BY run, expression, direction, island
),
strongest AS (  -- one moment, not one for each expression that rises or falls in it
    SELECT * FROM together
    QUALIFY arg_max((expression, direction), strength) OVER (PARTITION BY run ORDER BY peak_s RANGE BETWEEN 2 PRECEDING AND 2 FOLLOWING)
        = (expression, direction)
),
all_moments AS (
    SELECT run, 'together' AS kind, start_s, end_s, peak_s, expression, direction, strength, persons, present FROM strongest
    UNION ALL
    SELECT run, 'peak', start_s, start_s + 1, start_s + 0.5, expression, 'more', lift, persons, persons
    FROM peaks WHERE run NOT IN (SELECT run FROM strongest)
)
SELECT
    run, kind, start_s, end_s, peak_s, expression, direction, strength, persons, present,
    (SELECT count(*) FROM faces WHERE faces.run = all_moments.run AND usable AND time_s BETWEEN start_s AND end_s) AS faces
FROM all_moments ORDER BY run, strength DESC, start_s, expression
