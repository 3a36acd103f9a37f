-- title: Measures with intervals
-- description: Each measure over segments of time (without any: over the whole run), with a 95 % interval by bootstrap over persons.
-- Faces that speak in a meeting count in presence and coverage only.
-- uses: speaking
-- parameter segments: segments = : CSV file with name, start, end
-- parameter draws: integer = 400: bootstrap samples
WITH spans AS (
    SELECT run, s.name AS segment, s.start_s, s.end_s
    FROM runs, (SELECT unnest($segments::STRUCT(name VARCHAR, start_s DOUBLE, end_s DOUBLE)[]) AS s)
    UNION ALL
    SELECT run, '', min(time_s), max(time_s + coalesce(shown_s, 0)) + 0.001
    FROM frames WHERE len($segments) = 0 GROUP BY run
),
pictures AS (
    SELECT run, segment, count(*) AS frames FROM frames JOIN spans USING (run)
    WHERE time_s >= start_s AND time_s < end_s GROUP BY run, segment
),
clusters AS (  -- what each person adds; faces too brief to be followed stand together for 10 s
    SELECT
        run, segment, coalesce(person, -1 - (time_s // 10)::BIGINT) AS person, count(*) AS faces,
        count(*) FILTER (usable) AS read,
        count(*) FILTER (usable AND speaks IS NULL) AS n, coalesce(sum(angry) FILTER (usable AND speaks IS NULL), 0) AS angry,
        coalesce(sum(disgust) FILTER (usable AND speaks IS NULL), 0) AS disgust,
        coalesce(sum(fear) FILTER (usable AND speaks IS NULL), 0) AS fear,
        coalesce(sum(happy) FILTER (usable AND speaks IS NULL), 0) AS happy,
        coalesce(sum(sad) FILTER (usable AND speaks IS NULL), 0) AS sad,
        coalesce(sum(surprise) FILTER (usable AND speaks IS NULL), 0) AS surprise,
        coalesce(sum(neutral) FILTER (usable AND speaks IS NULL), 0) AS neutral,
        coalesce(sum(valence) FILTER (usable AND speaks IS NULL), 0) AS valence,
        coalesce(sum(expressiveness) FILTER (speaks IS NULL), 0) AS expressiveness,
        count(expressiveness) FILTER (speaks IS NULL) AS n_expressiveness
    FROM faces LEFT JOIN speaking USING (run, frame, person) JOIN spans USING (run) WHERE time_s >= start_s AND time_s < end_s GROUP BY ALL
),
drawn AS (  -- Poisson bootstrap: each person counts 0, 1, 2 ... times, by a number of its own; draw 0 is the run as it is
    SELECT *, hash(run, person, draw)::DOUBLE / 18446744073709551616 AS u, CASE WHEN draw = 0 THEN 1 WHEN u < 0.36788 THEN 0
        WHEN u < 0.73576 THEN 1 WHEN u < 0.91970 THEN 2 WHEN u < 0.98101 THEN 3 WHEN u < 0.99634 THEN 4 ELSE 5 END AS w
    FROM clusters, range($draws + 1) AS draws(draw)
),
means AS (
    SELECT
        run, segment, draw, sum(w * angry) / sum(w * n) AS angry, sum(w * disgust) / sum(w * n) AS disgust,
        sum(w * fear) / sum(w * n) AS fear, sum(w * happy) / sum(w * n) AS happy, sum(w * sad) / sum(w * n) AS sad,
        sum(w * surprise) / sum(w * n) AS surprise, sum(w * neutral) / sum(w * n) AS neutral,
        sum(w * valence) / sum(w * n) AS valence,
        sum(w * expressiveness) / sum(w * n_expressiveness) AS expressiveness, sum(w * read) / sum(w * faces) AS coverage,
        sum(w * faces) FILTER (person > 0) / sum(w) FILTER (person > 0) / any_value(frames) AS presence
    FROM drawn JOIN pictures USING (run, segment) GROUP BY run, segment, draw
),
long AS (
    UNPIVOT (SELECT *, happy - greatest(angry, disgust, fear, sad) AS positivity FROM means) ON positivity, happy, surprise, neutral, sad, fear, disgust, angry, valence, expressiveness, presence, coverage
    INTO NAME measure VALUE value
),
measured AS (
    SELECT run, segment, measure, max(value) FILTER (draw = 0) AS value,
        quantile_cont(value, 0.025) FILTER (draw > 0 AND isfinite(value)) AS low,
        quantile_cont(value, 0.975) FILTER (draw > 0 AND isfinite(value)) AS high
    FROM long GROUP BY run, segment, measure
),
behind AS (
    SELECT run, segment, count(*) FILTER (person > 0) AS seen, count(*) FILTER (person > 0 AND n > 0) AS persons,
        sum(faces)::BIGINT AS all_faces, sum(n)::BIGINT AS faces
    FROM clusters GROUP BY run, segment
)
SELECT run, segment, start_s, end_s, measure, value, if(persons > 1, low, NULL) AS low, if(persons > 1, high, NULL) AS high,
    if(measure IN ('coverage', 'presence'), seen, persons) AS persons, if(measure IN ('coverage', 'presence'), all_faces, faces) AS faces
FROM measured JOIN behind USING (run, segment) JOIN spans USING (run, segment) WHERE isfinite(value)
