from crowdmood.cli import main

main()
