//! The simplex search of Nelder and Mead (1965): minimises a smooth function of a few variables without derivatives.

/// Shrinks until the simplex is this small.
const SIZE: f64 = 1e-9;
/// Evaluations at most, per start.
const EVALUATIONS_MAX: usize = 4_000;
/// Starts: a new simplex around the best point gets out of one that collapsed too early.
const STARTS: usize = 4;

/// The point of the least value near `start`, and that value. Where the function is not a number, nothing is better.
pub(super) fn minimise<const N: usize>(start: [f64; N], mut function: impl FnMut(&[f64; N]) -> f64) -> ([f64; N], f64) {
    let mut best = start;
    let mut least = f64::INFINITY;
    for _ in 0..STARTS {
        let (point, value) = descend(best, &mut function);
        let settled = least - value < 1e-9 * (1.0 + value.abs());
        if value < least {
            (best, least) = (point, value);
        }
        if settled {
            break;
        }
    }
    (best, least)
}

fn descend<const N: usize>(start: [f64; N], function: &mut impl FnMut(&[f64; N]) -> f64) -> ([f64; N], f64) {
    let mut evaluations = 0usize;
    let mut eval = |point: &[f64; N]| {
        evaluations += 1;
        let value = function(point);
        (if value.is_nan() { f64::INFINITY } else { value }, evaluations)
    };
    let mut simplex: Vec<([f64; N], f64)> = vec![(start, eval(&start).0)];
    for at in 0..N {
        let mut point = start;
        if let Some(coordinate) = point.get_mut(at) {
            *coordinate += 0.5;
        }
        simplex.push((point, eval(&point).0));
    }
    loop {
        simplex.sort_by(|one, other| one.1.total_cmp(&other.1));
        let (Some(&best), Some(&worst)) = (simplex.first(), simplex.last()) else { return (start, f64::INFINITY) };
        let second_worst = simplex.get(N.saturating_sub(1)).map_or(worst.1, |(_, value)| *value);
        let size = simplex.iter().map(|(point, _)| distance(point, &best.0)).fold(0.0, f64::max);
        let mut centre = [0.0; N];
        for (point, _) in simplex.iter().take(N) {
            for (sum, coordinate) in centre.iter_mut().zip(point) {
                *sum += coordinate / N as f64;
            }
        }
        let towards = |factor: f64| -> [f64; N] {
            let mut point = centre;
            for (coordinate, from) in point.iter_mut().zip(&worst.0) {
                *coordinate += factor * (from - *coordinate);
            }
            point
        };
        let reflected = towards(-1.0);
        let (value, evaluated) = eval(&reflected);
        if size < SIZE || evaluated > EVALUATIONS_MAX {
            return best;
        }
        let replacement = if value < best.1 {
            let expanded = towards(-2.0);
            let (further, _) = eval(&expanded);
            Some(if further < value { (expanded, further) } else { (reflected, value) })
        } else if value < second_worst {
            Some((reflected, value))
        } else {
            let contracted = towards(if value < worst.1 { -0.5 } else { 0.5 });
            let (nearer, _) = eval(&contracted);
            (nearer < worst.1.min(value)).then_some((contracted, nearer))
        };
        if let Some(replacement) = replacement {
            if let Some(last) = simplex.last_mut() {
                *last = replacement;
            }
            continue;
        }
        for (point, value) in simplex.iter_mut().skip(1) {
            for (coordinate, to) in point.iter_mut().zip(&best.0) {
                *coordinate = to + 0.5 * (*coordinate - to);
            }
            *value = eval(point).0;
        }
    }
}

fn distance<const N: usize>(one: &[f64; N], other: &[f64; N]) -> f64 {
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::minimise;

    #[test]
    fn finds_the_end_of_rosenbrocks_valley() {
        let (point, value) = minimise([-1.2, 1.0], |[x, y]| (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2));
        assert!(value < 1e-12 && (point[0] - 1.0).abs() < 1e-5, "{point:?} {value}");
    }

    #[test]
    fn steps_back_from_where_there_is_no_number() {
        let (point, _) = minimise([0.5], |[x]| if *x < 0.0 { f64::NAN } else { x.sqrt() - x });
        assert!(point[0].is_finite() && point[0] >= 0.0);
    }
}
