-- title: Engagement
-- description: How far a stretch of time stands out within its run: the weighted mean of the z-scores of positivity, expressiveness,
-- presence (persons in the picture) and synchrony; weights from engagement.toml, the formula is in the last column. 0 is the run's
-- usual, +1 one standard deviation above it in everything. z-scores are of the run's own stretches, so values of different runs must
-- not be compared. low and high: 95 %, bootstrap over persons (synchrony held). Faces that
-- speak in a meeting count in presence only. few: fewer than `min_persons` persons.
-- uses: synchrony, speaking
-- parameter every: number = 30: length of a stretch in seconds
-- parameter positivity: weight: weight of positivity
-- parameter expressiveness: weight: weight of expressiveness
-- parameter presence: weight: weight of presence
-- parameter synchrony: weight: weight of synchrony
-- parameter min_persons: integer = 5: figures of fewer persons are called few
-- plot: line start_s engagement low high
WITH pictures AS (
    SELECT run, floor(time_s / $every) AS stretch, count(*) AS frames FROM frames GROUP BY run, stretch
),
clusters AS (
    SELECT run, floor(time_s / $every) AS stretch, coalesce(person, 0) AS person, count(*) AS faces,
        count(*) FILTER (usable AND speaks IS NULL) AS n, coalesce(sum(happy) FILTER (usable AND speaks IS NULL), 0) AS happy,
        coalesce(sum(angry) FILTER (usable AND speaks IS NULL), 0) AS angry,
        coalesce(sum(disgust) FILTER (usable AND speaks IS NULL), 0) AS disgust,
        coalesce(sum(fear) FILTER (usable AND speaks IS NULL), 0) AS fear, coalesce(sum(sad) FILTER (usable AND speaks IS NULL), 0) AS sad,
        coalesce(sum(expressiveness) FILTER (speaks IS NULL), 0) AS expressiveness,
        count(expressiveness) FILTER (speaks IS NULL) AS n_expressiveness
    FROM faces LEFT JOIN speaking USING (run, frame, person) GROUP BY ALL
),
drawn AS (  -- Poisson bootstrap: each person counts 0, 1, 2 ... times; draw 0 is the run as it is
    SELECT *, hash(run, person, draw)::DOUBLE / 18446744073709551616 AS u, CASE WHEN draw = 0 THEN 1 WHEN u < 0.36788 THEN 0
        WHEN u < 0.73576 THEN 1 WHEN u < 0.91970 THEN 2 WHEN u < 0.98101 THEN 3 WHEN u < 0.99634 THEN 4 ELSE 5 END AS w
    FROM clusters, range(201) AS draws(draw)
),
measured AS (
    SELECT run, stretch, draw,
        sum(w * happy) / sum(w * n) - greatest(sum(w * angry), sum(w * disgust), sum(w * fear), sum(w * sad)) / sum(w * n) AS positivity,
        sum(w * expressiveness) / sum(w * n_expressiveness) AS expressiveness,
        sum(w * faces) / any_value(frames) AS presence,
        count(*) FILTER (person > 0 AND n > 0) AS persons
    FROM drawn JOIN pictures USING (run, stretch) GROUP BY run, stretch, draw
),
moved_together AS (
    SELECT run, stretch, avg(synchrony) AS synchrony
    FROM synchrony JOIN pictures USING (run) WHERE start_s < (stretch + 1) * $every AND end_s > stretch * $every
    GROUP BY run, stretch
),
sane AS (
    SELECT run, stretch, draw, if(isfinite(positivity), positivity, NULL) AS positivity,
        if(isfinite(expressiveness), expressiveness, NULL) AS expressiveness, presence, synchrony, persons
    FROM measured LEFT JOIN moved_together USING (run, stretch)
),
usual AS (
    SELECT run, avg(positivity) AS m_positivity, nullif(stddev(positivity), 0) AS s_positivity,
        avg(expressiveness) AS m_expressiveness, nullif(stddev(expressiveness), 0) AS s_expressiveness,
        avg(presence) AS m_presence, nullif(stddev(presence), 0) AS s_presence,
        avg(synchrony) AS m_synchrony, nullif(stddev(synchrony), 0) AS s_synchrony
    FROM sane WHERE draw = 0 GROUP BY run
),
scored AS (
    SELECT *, (positivity - m_positivity) / s_positivity AS z_positivity,
        (expressiveness - m_expressiveness) / s_expressiveness AS z_expressiveness,
        (presence - m_presence) / s_presence AS z_presence, (synchrony - m_synchrony) / s_synchrony AS z_synchrony,
        (coalesce($positivity * z_positivity, 0) + coalesce($expressiveness * z_expressiveness, 0)
            + coalesce($presence * z_presence, 0) + coalesce($synchrony * z_synchrony, 0))
        / nullif(if(z_positivity IS NULL, 0, $positivity) + if(z_expressiveness IS NULL, 0, $expressiveness)
            + if(z_presence IS NULL, 0, $presence) + if(z_synchrony IS NULL, 0, $synchrony), 0) AS engagement
    FROM sane JOIN usual USING (run)
),
bounds AS (
    SELECT run, stretch, quantile_cont(engagement, 0.025) FILTER (draw > 0) AS low,
        quantile_cont(engagement, 0.975) FILTER (draw > 0) AS high
    FROM scored GROUP BY run, stretch
)
SELECT
    run, stretch * $every AS start_s, (stretch + 1) * $every AS end_s, engagement, if(persons > 1, low, NULL) AS low,
    if(persons > 1, high, NULL) AS high, z_positivity, z_expressiveness, z_presence, z_synchrony, positivity, expressiveness,
    presence, synchrony, persons, persons < $min_persons AS few,
    format('({:.2g} z(positivity) + {:.2g} z(expressiveness) + {:.2g} z(presence) + {:.2g} z(synchrony)) / weights there',
        $positivity::DOUBLE, $expressiveness::DOUBLE, $presence::DOUBLE, $synchrony::DOUBLE) AS formula
FROM scored JOIN bounds USING (run, stretch) WHERE draw = 0 ORDER BY run, start_s
