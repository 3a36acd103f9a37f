-- title: Smile synchrony
-- description: Whether persons smile together, one of them up to a second earlier, in sliding windows: the mean over pairs of the
-- largest correlation of their curves of 'happy' at lags of -1, 0 and 1 s, against what the same curves give when they are
-- shifted in circles within the window by chance (usual is its 95th percentile, p the probability of as much, q the false discovery
-- rate over the run's windows). Who does not smile in a window does not count in it; of more than `most` persons, those who
-- smile most vividly. The mean and variance of chance are exact, its skewness is from 200 shifts.
-- uses: windows
-- parameter curve: text = happy: the curve of an expression
-- parameter movement: number = 0.05: a curve with a smaller standard deviation does not count
-- parameter most: integer = 20: persons compared in a window
-- plot: line start_s synchrony usual
WITH smilers AS (
    SELECT run, start, person, z, z || z AS twice, count(*) OVER (PARTITION BY run, start) AS persons
    FROM windows QUALIFY row_number() OVER (PARTITION BY run, start ORDER BY vividness DESC, person) <= $most
),
pairs AS (  -- correlation of two persons, the second shifted in a circle by 0, 1, 2 ... seconds
    SELECT run, start, a.person AS a, b.person AS b, least(a.persons, $most) AS n,
        list_transform(range($window::BIGINT), lambda s: list_dot_product(a.z, b.twice[s + 1 : s + $window::BIGINT])) AS at_shift
    FROM smilers AS a JOIN smilers AS b USING (run, start) WHERE a.person < b.person
),
best AS (  -- the largest within a second around each shift; the first is what was observed
    SELECT run, start, a, b, n, list_transform(range($window::BIGINT), lambda s: list_max([at_shift[s + 1],
        at_shift[(s + 1) % $window::BIGINT + 1], at_shift[(s - 1 + $window::BIGINT) % $window::BIGINT + 1]])) AS best
    FROM pairs
),
observed AS (
    SELECT run, start, any_value(n) AS n, avg(best[1]) AS observed, avg(list_avg(best)) AS chance,
        sum(list_var_pop(best)) / count(*) ** 2 AS variance
    FROM best GROUP BY run, start
),
drawn AS (  -- every person shifted by chance, the same in all pairs
    SELECT run, start, draw, avg(best[((hash(b, draw) % $window::UBIGINT)::BIGINT
        - (hash(a, draw) % $window::UBIGINT)::BIGINT + $window::BIGINT) % $window::BIGINT + 1]) AS by_chance
    FROM best, range(200) AS draws(draw) GROUP BY run, start, draw
),
gamma AS (  -- Pearson III: the gamma distribution with these moments, moved to the mean of chance
    SELECT *, least(greatest(skewness, 0.06), 2) AS skew, 4 / skew ** 2 AS shape, sqrt(variance) * skew / 2 AS scale,
        (observed - chance) / scale + shape AS height
    FROM observed JOIN (SELECT run, start, coalesce(skewness(by_chance), 0) AS skewness FROM drawn GROUP BY run, start)
        USING (run, start)
    WHERE variance > 0
),
tested AS (  -- the gamma distribution's upper tail by its series; its 95th percentile by Wilson and Hilferty
    SELECT *, CASE WHEN height <= 0 THEN 1 ELSE greatest(1e-9, 1 - list_sum(list_transform(range(2000), lambda i:
            exp((shape + i) * ln(height) - height - lgamma(shape + i + 1))))) END AS p,
        chance + scale * shape * ((1 - 1 / (9 * shape) + 1.645 / (3 * sqrt(shape))) ** 3 - 1) AS usual,
        row_number() OVER (PARTITION BY run ORDER BY p) AS place, count(*) OVER (PARTITION BY run) AS tests
    FROM gamma
)
SELECT
    run, start::DOUBLE AS start_s, start + $window::DOUBLE AS end_s, n AS persons, observed AS synchrony, usual, p,
    least(1, min(p * tests / place) OVER (PARTITION BY run ORDER BY place DESC)) AS q, q <= 0.05 AS significant
FROM tested ORDER BY run, start_s
