-- title: The audience
-- description: What the audience showed while each speaker had the floor, or during each item of the agenda: everybody but those who
-- speak at that instant. Presence is over all persons of the run but the speaker, also those who are not seen then.
-- uses: turns, items, speaking
-- parameter by: text = speaker: speaker or item
-- parameter draws: integer = 400: bootstrap samples
WITH spans AS (
    SELECT run, number::VARCHAR AS part, person, start_s, end_s FROM turns WHERE $by = 'speaker'
    UNION ALL
    SELECT run, item, NULL, start_s, end_s FROM items WHERE $by = 'item'
),
inside AS (
    SELECT DISTINCT spans.run, part, frame FROM spans JOIN frames
        ON frames.run = spans.run AND time_s >= start_s AND time_s < end_s
),
pictures AS (SELECT run, part, count(*) AS frames FROM inside GROUP BY run, part),
parts AS (SELECT run, part, mode(person) AS own FROM spans GROUP BY run, part),
seen AS (  -- what each listener adds; faces too brief to be followed stand together for 10 s
    SELECT
        run, part, coalesce(person, -1 - (time_s // 10)::BIGINT) AS person, count(*) AS faces, count(*) FILTER (usable) AS read,
        count(*) FILTER (usable AND speaks IS NULL) AS n, sum(angry) FILTER (usable AND speaks IS NULL) AS angry,
        sum(disgust) FILTER (usable AND speaks IS NULL) AS disgust, sum(fear) FILTER (usable AND speaks IS NULL) AS fear,
        sum(happy) FILTER (usable AND speaks IS NULL) AS happy, sum(sad) FILTER (usable AND speaks IS NULL) AS sad,
        sum(expressiveness) FILTER (speaks IS NULL) AS expressiveness,
        count(expressiveness) FILTER (speaks IS NULL) AS n_expressiveness
    FROM inside JOIN faces USING (run, frame) LEFT JOIN speaking USING (run, frame, person) JOIN parts USING (run, part)
    WHERE person IS NULL OR person IS DISTINCT FROM own GROUP BY ALL
),
everybody AS (
    SELECT run, part, person FROM parts JOIN persons USING (run) WHERE person IS DISTINCT FROM own
    UNION SELECT run, part, person FROM seen
),
clusters AS (
    SELECT run, part, person, coalesce(faces, 0) AS faces, coalesce(read, 0) AS read, coalesce(n, 0) AS n,
        coalesce(angry, 0) AS angry, coalesce(disgust, 0) AS disgust, coalesce(fear, 0) AS fear, coalesce(happy, 0) AS happy,
        coalesce(sad, 0) AS sad, coalesce(expressiveness, 0) AS expressiveness, coalesce(n_expressiveness, 0) AS n_expressiveness
    FROM everybody LEFT JOIN seen USING (run, part, person)
),
drawn AS (  -- Poisson bootstrap over persons, as in intervals
    SELECT *, hash(run, person, draw)::DOUBLE / 18446744073709551616 AS u, CASE WHEN draw = 0 THEN 1 WHEN u < 0.36788 THEN 0
        WHEN u < 0.73576 THEN 1 WHEN u < 0.91970 THEN 2 WHEN u < 0.98101 THEN 3 WHEN u < 0.99634 THEN 4 ELSE 5 END AS w
    FROM clusters, range($draws + 1) AS draws(draw)
),
means AS (
    SELECT run, part, draw,
        sum(w * happy) / sum(w * n) - greatest(sum(w * angry), sum(w * disgust), sum(w * fear), sum(w * sad)) / sum(w * n) AS positivity,
        sum(w * expressiveness) / sum(w * n_expressiveness) AS expressiveness,
        sum(w * faces) FILTER (person > 0) / sum(w) FILTER (person > 0) / any_value(frames) AS presence,
        sum(w * read) / sum(w * faces) AS coverage
    FROM drawn JOIN pictures USING (run, part) GROUP BY run, part, draw
),
long AS (
    UNPIVOT means ON positivity, expressiveness, presence, coverage INTO NAME measure VALUE value
),
measured AS (
    SELECT run, part, measure, max(value) FILTER (draw = 0) AS value,
        quantile_cont(value, 0.025) FILTER (draw > 0) AS low, quantile_cont(value, 0.975) FILTER (draw > 0) AS high
    FROM long WHERE isfinite(value) GROUP BY run, part, measure
),
figures AS (
    SELECT run, part,
        any_value(value) FILTER (measure = 'positivity') AS positivity, any_value(low) FILTER (measure = 'positivity') AS positivity_low,
        any_value(high) FILTER (measure = 'positivity') AS positivity_high,
        any_value(value) FILTER (measure = 'expressiveness') AS expressiveness,
        any_value(low) FILTER (measure = 'expressiveness') AS expressiveness_low,
        any_value(high) FILTER (measure = 'expressiveness') AS expressiveness_high,
        any_value(value) FILTER (measure = 'presence') AS presence, any_value(value) FILTER (measure = 'coverage') AS coverage
    FROM measured GROUP BY run, part
),
behind AS (
    SELECT run, part, count(*) FILTER (person > 0 AND n > 0) AS persons, sum(n)::BIGINT AS faces FROM clusters GROUP BY run, part
)
SELECT run, part, persons, faces, positivity, if(persons > 1, positivity_low, NULL) AS positivity_low,
    if(persons > 1, positivity_high, NULL) AS positivity_high, expressiveness,
    if(persons > 1, expressiveness_low, NULL) AS expressiveness_low,
    if(persons > 1, expressiveness_high, NULL) AS expressiveness_high, presence, coverage
FROM behind LEFT JOIN figures USING (run, part)
