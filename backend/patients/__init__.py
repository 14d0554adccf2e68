"""The data subject: patients, their contact points, representatives and occasions, and their import."""
