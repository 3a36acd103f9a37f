-- title: Synchrony
-- description: How much persons move together, in sliding windows: the mean correlation of all pairs' curves, against what
-- independent persons give whose curves are shifted in circles within the window by chance. p is the probability of as much
-- synchrony by chance, q the false discovery rate over the run's windows, usual the 95th percentile of chance. A person counts in a window
-- when readable in 80 % of its seconds, and when the curve moves at all. low and high: 95 %, jackknife over persons.
-- uses: windows
-- plot: line start_s synchrony usual
WITH observed AS (  -- the sum over all ordered pairs is the length of the sum of all curves, less each with itself
    SELECT run, start, any_value(n) AS n, list(total ORDER BY second) AS total, sum(total * total) - any_value(n) AS pairs
    FROM (
        SELECT run, start, any_value(n) AS n, second, sum(value) AS total
        FROM (SELECT run, start, n, unnest(z) AS value, generate_subscripts(z, 1) AS second FROM windows)
        GROUP BY run, start, second
    ) GROUP BY run, start
),
spread AS (  -- jackknife: the mean correlation without one person, for each
    SELECT run, start, sqrt((n - 1) / n * sum((without - middle) ** 2)) AS error FROM (
        SELECT run, start, n, (pairs - 2 * (list_dot_product(z, total) - 1)) / ((n - 1) * (n - 2)) AS without,
            avg(without) OVER (PARTITION BY run, start) AS middle
        FROM windows JOIN observed USING (run, start, n)
    ) GROUP BY run, start, n
),
waves AS (
    SELECT wave,
        list_transform(range($window::BIGINT), lambda i: cos(2 * pi() * wave * i / $window::BIGINT)) AS cosine,
        list_transform(range($window::BIGINT), lambda i: sin(2 * pi() * wave * i / $window::BIGINT)) AS sine,
        CASE WHEN 2 * wave = $window::BIGINT THEN 1 ELSE 2 END AS sides
    FROM range(1, ($window // 2)::BIGINT + 1) AS waves(wave)
),
powers AS (  -- the share of a person's movement that is at this frequency; shifting changes its phase only
    SELECT run, start, n, wave, sides, sides / $window::BIGINT *
        (list_dot_product(z, cosine) ** 2 + list_dot_product(z, sine) ** 2) AS power
    FROM windows, waves
),
chance AS (  -- exact variance and (but for cubes of single pairs) third moment of the pairs' sum over all shifts
    SELECT run, start, n, sum((a * a - a2) / sides * 2) AS variance, sum((a ** 3 - 3 * a * a2 + 2 * a3) * 8 / sides ** 2) AS third
    FROM (
        SELECT run, start, n, wave, sides, sum(power) AS a, sum(power ** 2) AS a2, sum(power ** 3) AS a3
        FROM powers GROUP BY ALL
    ) GROUP BY run, start, n
),
gamma AS (  -- Pearson III: the gamma distribution with these moments, moved to mean 0
    SELECT *, greatest(third / variance ** 1.5, 0.06) AS skew, 4 / skew ** 2 AS shape, sqrt(variance) * skew / 2 AS scale,
        pairs / scale + shape AS height
    FROM chance JOIN observed USING (run, start, n) JOIN spread USING (run, start) WHERE variance > 0
),
tested AS (  -- the gamma distribution's upper tail by its series; its 95th percentile by Wilson and Hilferty
    SELECT *, CASE WHEN height <= 0 THEN 1 ELSE greatest(1e-9, 1 - list_sum(list_transform(range(2000), lambda i:
            exp((shape + i) * ln(height) - height - lgamma(shape + i + 1))))) END AS p,
        scale * shape * ((1 - 1 / (9 * shape) + 1.645 / (3 * sqrt(shape))) ** 3 - 1) / (n * (n - 1)) AS usual,
        row_number() OVER (PARTITION BY run ORDER BY p) AS place, count(*) OVER (PARTITION BY run) AS windows
    FROM gamma
)
SELECT
    run, start::DOUBLE AS start_s, start + $window::DOUBLE AS end_s, n AS persons, pairs / (n * (n - 1)) AS synchrony,
    greatest(synchrony - 1.96 * error, -1) AS low, least(synchrony + 1.96 * error, 1) AS high, usual, p,
    least(1, min(p * windows / place) OVER (PARTITION BY run ORDER BY place DESC)) AS q, q <= 0.05 AS significant
FROM tested ORDER BY run, start_s
