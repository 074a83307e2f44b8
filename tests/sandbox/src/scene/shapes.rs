//! Shapes with straight or curved outlines, smooth at the edges.

use super::canvas::{Canvas, Point};
use super::color::Color;

/// Scan lines per row; a quarter of a pixel is smooth enough for an image that is scaled down.
const SLICES: usize = 4;

impl Canvas {
    /// A polygon of one colour.
    pub(super) fn polygon(&mut self, corners: &[Point], color: Color) {
        self.fill(corners, 1.0, |_, _| color);
    }

    /// A polygon whose colour depends on the position; even-odd rule.
    pub(super) fn fill(&mut self, corners: &[Point], alpha: f32, shade: impl Fn(f32, f32) -> Color) {
        let bounds = |pick: fn(&Point) -> f32| {
            let low = corners.iter().map(pick).fold(f32::INFINITY, f32::min);
            let high = corners.iter().map(pick).fold(f32::NEG_INFINITY, f32::max);
            (low, high)
        };
        let ((left, right), (top, bottom)) = (bounds(|p| p.0), bounds(|p| p.1));
        let (first, last) = (self.column(left.floor()), self.column(right.ceil() + 1.0));
        if first >= last {
            return;
        }
        let mut coverage = vec![0.0; last - first];
        let mut crossings = Vec::new();
        for row in self.row(top.floor())..self.row(bottom.ceil()) {
            coverage.fill(0.0);
            for slice in 0..SLICES {
                let y = row as f32 + (slice as f32 + 0.5) / SLICES as f32;
                cross(corners, y, &mut crossings);
                for pair in crossings.chunks_exact(2) {
                    add_span(&mut coverage, pair[0] - first as f32, pair[1] - first as f32);
                }
            }
            self.span(row, &coverage, first, &shade, alpha);
        }
    }

    /// A rectangle.
    pub(super) fn rectangle(&mut self, from: Point, to: Point, color: Color) {
        self.polygon(&[from, (to.0, from.1), to, (from.0, to.1)], color);
    }

    /// A straight stroke.
    pub(super) fn stroke(&mut self, from: Point, to: Point, thickness: f32, color: Color) {
        self.taper(from, to, (thickness, thickness), color);
    }

    /// A straight stroke that is thicker at one end.
    pub(super) fn taper(&mut self, from: Point, to: Point, thickness: (f32, f32), color: Color) {
        let (right, down) = (to.0 - from.0, to.1 - from.1);
        let length = (right * right + down * down).sqrt().max(0.001);
        let (x, y) = (-down / length / 2.0, right / length / 2.0);
        let (start, end) = thickness;
        self.polygon(
            &[
                (from.0 + x * start, from.1 + y * start),
                (to.0 + x * end, to.1 + y * end),
                (to.0 - x * end, to.1 - y * end),
                (from.0 - x * start, from.1 - y * start),
            ],
            color,
        );
    }

    /// Strokes from point to point.
    pub(super) fn path(&mut self, points: &[Point], thickness: f32, color: Color) {
        for pair in points.windows(2) {
            self.stroke(pair[0], pair[1], thickness, color);
        }
    }
}

/// Where a horizontal line crosses the outline, from left to right.
fn cross(corners: &[Point], y: f32, crossings: &mut Vec<f32>) {
    crossings.clear();
    let mut from = corners[corners.len() - 1];
    for &to in corners {
        if (from.1 <= y) != (to.1 <= y) {
            crossings.push(from.0 + (y - from.1) / (to.1 - from.1) * (to.0 - from.0));
        }
        from = to;
    }
    crossings.sort_by(f32::total_cmp);
}

/// Adds one slice of a row; the pixels at both ends are covered in part.
fn add_span(coverage: &mut [f32], from: f32, to: f32) {
    const SHARE: f32 = 1.0 / SLICES as f32;
    let (from, to) = (from.max(0.0), to.min(coverage.len() as f32));
    if from >= to {
        return;
    }
    let (first, last) = (from as usize, (to.ceil() as usize).min(coverage.len()));
    for (offset, pixel) in coverage[first..last].iter_mut().enumerate() {
        let left = (first + offset) as f32;
        *pixel += SHARE * (to.min(left + 1.0) - from.max(left));
    }
}

/// Points of an arch from its left foot over the top to its right foot.
pub(super) fn arch(middle: f32, foot: f32, half_width: f32, height: f32) -> Vec<Point> {
    const STEPS: usize = 24;
    let spring = foot - (height - half_width).max(0.0);
    let rise = foot - height;
    let curve = (0..=STEPS).map(|step| {
        let angle = std::f32::consts::PI * (1.0 - step as f32 / STEPS as f32);
        (middle + half_width * angle.cos(), spring - (spring - rise) * angle.sin())
    });
    let mut points = vec![(middle - half_width, foot)];
    points.extend(curve);
    points.push((middle + half_width, foot));
    points
}

/// Points of a line that hangs between two points, `sag` lower in the middle.
pub(super) fn hanging(from: Point, to: Point, sag: f32, count: usize) -> Vec<Point> {
    (0..=count)
        .map(|step| {
            let share = step as f32 / count as f32;
            let drop = 4.0 * sag * share * (1.0 - share);
            (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share + drop)
        })
        .collect()
}
