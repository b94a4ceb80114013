"""The backend as Blender sees it: its environment, its process, its jobs. Nothing here imports bpy."""
