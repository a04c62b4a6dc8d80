"""Online clusters of states, one state at a time (design, section 5.4)."""

import math


class Clusters:
    """A state joins the nearest earlier one's cluster that is near and not full, else opens its own."""

    def __init__(self, cluster_size, radius):
        self.cluster_size, self.radius = cluster_size, radius
        self.met = []  # (state, coordinates, cluster) in the order met
        self.clusters = []  # members of each

    def enter(self, state, coordinates):
        """Return the cluster of a state that is met."""
        for known, _, cluster in self.met:
            if known == state:
                return cluster
        best, best_distance = None, self.radius
        for _, other, cluster in self.met:
            distance = math.dist(coordinates, other)
            if distance < best_distance and len(self.clusters[cluster]) < self.cluster_size:
                best, best_distance = cluster, distance
        if best is None:
            best = len(self.clusters)
            self.clusters.append([])
        self.clusters[best].append(state)
        self.met.append((state, coordinates, best))
        return best
